"""What the chapters draw and ask: a folder for each chapter, and beside them what several share."""
