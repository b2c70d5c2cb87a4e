import statistics
import sys

print(statistics.median(int(word) for word in sys.stdin.read().split()))
