"""The peers' ideas, one a file, trained by the same engine on the same data and budget (docs/peers.md)."""
