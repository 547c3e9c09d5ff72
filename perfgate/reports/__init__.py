"""What people read: lines while a run goes on, its summary, and reports made from run files."""
