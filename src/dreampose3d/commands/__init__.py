"""One typed function a command, one command a file; what is heavy is imported inside, so that help is instant."""
