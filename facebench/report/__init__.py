"""What people read: tables, pages and pictures made from run records."""
