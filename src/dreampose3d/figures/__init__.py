"""The paper's figures from any weights and any clip, one figure a file; drawn with matplotlib (extra `figures`)."""
