"""What every table of the file has in common."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

ModeName = Literal["enforce", "observe", "off"]
Amount = str | int | float


class Table(BaseModel):
    """A table of the file: unknown keys are mistakes."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)
