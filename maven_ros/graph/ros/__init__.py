"""ROS 2's own graph, through rclpy."""
