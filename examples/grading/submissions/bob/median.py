import sys

numbers = sorted(sys.stdin.read().split())
print(numbers[len(numbers) // 2])
