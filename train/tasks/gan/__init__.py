"""Two networks that learn against each other, measured by how near the images that one makes are to real ones."""
