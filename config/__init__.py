"""Settings, queues and logging: what tasks/ and the application above it both stand on."""
