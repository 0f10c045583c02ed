"""The four parts of the method, one file each, and their assembly."""
