"""`runguard anomaly ack|resolve`: what became of an episode."""
