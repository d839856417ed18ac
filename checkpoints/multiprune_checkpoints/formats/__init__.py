"""The file formats: what a checkpoint holds, and where. A reader of another one goes here."""
