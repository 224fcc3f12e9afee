"""What is watched: drift, and the alerts that follow from it and from live metrics."""
