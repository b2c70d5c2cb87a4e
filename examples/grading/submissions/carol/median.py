numbers = []
while line := input():
    numbers.append(int(line))
print(sorted(numbers)[len(numbers) // 2])
