"""What the rest stands on: errors, text made safe, values made fit for records, where files lie, how they are kept."""
