"""A decode process on a kernel without Landlock."""

from app.inference import decode_process
from app.inference.sandbox import landlock

if __name__ == "__main__":
    landlock.available_abi = lambda: 0
    decode_process.main()
