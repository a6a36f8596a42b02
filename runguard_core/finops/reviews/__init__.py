"""Reviews of a ledger: weekly, sprint, quarter, and a digest for each owner."""

from runguard_core.finops.reviews._avoided import RULE as AVOIDED_RULE
from runguard_core.finops.reviews._avoided import Avoided, avoided
from runguard_core.finops.reviews._backlog import Backlog, read_backlog
from runguard_core.finops.reviews._costs import Costs, costs_by
from runguard_core.finops.reviews._digest import digest_document, digest_page, owners_of
from runguard_core.finops.reviews._episodes import Anomaly
from runguard_core.finops.reviews._html import html
from runguard_core.finops.reviews._limits import Allowed, allowed, scaled
from runguard_core.finops.reviews._markdown import markdown
from runguard_core.finops.reviews._material import Material, Payer, read_material
from runguard_core.finops.reviews._opportunities import SEEKERS, opportunities
from runguard_core.finops.reviews._opportunity import Opportunity, OpportunityKind, Sample
from runguard_core.finops.reviews._page import Cell, Column, Grid, Page, Point, Points
from runguard_core.finops.reviews._pictures import blocks_of
from runguard_core.finops.reviews._practice import Practice
from runguard_core.finops.reviews._quarter import FeatureQuarter, QuarterReview, read_quarter
from runguard_core.finops.reviews._quarter_page import quarter_document, quarter_page
from runguard_core.finops.reviews._sending import readers_of, review_notice
from runguard_core.finops.reviews._sprint import Compared, SprintReview, read_sprint
from runguard_core.finops.reviews._sprint_page import sprint_document, sprint_page
from runguard_core.finops.reviews._verdict import RULE as VERDICT_RULE
from runguard_core.finops.reviews._verdict import Direction, Verdict, direction, middle, rising_weeks, verdict
from runguard_core.finops.reviews._weekly import FeatureWeek, WeeklyReview, weekly
from runguard_core.finops.reviews._weekly_document import weekly_document
from runguard_core.finops.reviews._weekly_page import any_anomaly, weekly_page, with_agenda

__all__ = [
    "AVOIDED_RULE",
    "SEEKERS",
    "VERDICT_RULE",
    "Allowed",
    "Anomaly",
    "Avoided",
    "Backlog",
    "Cell",
    "Column",
    "Compared",
    "Costs",
    "Direction",
    "FeatureQuarter",
    "FeatureWeek",
    "Grid",
    "Material",
    "Opportunity",
    "OpportunityKind",
    "Page",
    "Payer",
    "Point",
    "Points",
    "Practice",
    "QuarterReview",
    "Sample",
    "SprintReview",
    "Verdict",
    "WeeklyReview",
    "allowed",
    "any_anomaly",
    "avoided",
    "blocks_of",
    "costs_by",
    "digest_document",
    "digest_page",
    "direction",
    "html",
    "markdown",
    "middle",
    "opportunities",
    "owners_of",
    "quarter_document",
    "quarter_page",
    "read_backlog",
    "read_material",
    "read_quarter",
    "read_sprint",
    "readers_of",
    "review_notice",
    "rising_weeks",
    "scaled",
    "sprint_document",
    "sprint_page",
    "verdict",
    "weekly",
    "weekly_document",
    "weekly_page",
    "with_agenda",
]
