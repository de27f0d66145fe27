from attempts import run

hoard = []
while True:
    hoard.append(bytearray(8 * 2**20))
    hoard[-1][::4096] = b"x" * len(hoard[-1][::4096])
