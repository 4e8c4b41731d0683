"""The networks at work: on a file, on a camera and a microphone."""
