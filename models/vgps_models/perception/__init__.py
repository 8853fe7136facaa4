"""What the policy and the critic see: images and a sentence made into features."""
