"""Whether what is written about a run is true: claims found in prose, each checked against the record."""
