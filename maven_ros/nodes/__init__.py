"""The processes of the graph: player, microphone, camera, affect, recorder."""
