"""Media to arrays: video, faces, landmarks, audio, and the cache that keeps them."""
