# SPDX-License-Identifier: BSD-3-Clause
"""Print the polynomial coefficients of src/core/special.cpp (needs mpmath)."""
import mpmath as m
from mpmath import cos, mp, mpf, pi

mp.dps = 60
def fit(f, a, b, deg, centre=False):
    a, b = mpf(a), mpf(b)
    n = deg + 1
    xs = [cos(pi*(2*k+1)/(2*n)) for k in range(n)]
    pts = [(a+b)/2 + (b-a)/2*x for x in xs]
    ys = [f(p) for p in pts]
    ts = [p-(a+b)/2 for p in pts] if centre else pts
    # Newton divided differences then expand
    co = list(ys)
    for j in range(1, n):
        for i in range(n-1, j-1, -1):
            co[i] = (co[i]-co[i-1])/(ts[i]-ts[i-j])
    poly = [mpf(0)]
    for i in range(n-1, -1, -1):
        new = [mpf(0)]*(len(poly)+1)
        for k, c in enumerate(poly):
            new[k+1] += c; new[k] -= c*ts[i]
        new[0] += co[i]
        poly = new
    poly = poly[:n]
    err = mpf(0)
    for k in range(201):
        p = a+(b-a)*k/200
        t = p-(a+b)/2 if centre else p
        v = m.polyval(poly[::-1], t)
        e = abs(v-f(p))
        err = max(err, e/ max(abs(f((a+b)/2)),mpf(10)**-30))
    return poly, err
def show(name, poly):
    print(f"constexpr double {name}[] = {{")
    line = "   "
    for c in poly:
        s = " " + float(c).hex() + ","
        if len(line)+len(s) > 108:
            print(line); line = "   "
        line += s
    print(line); print("};")
def do(name, f, a, b, tol, centre=False):
    for deg in range(3, 40):
        poly, err = fit(f, a, b, deg, centre)
        if err < mpf(2)**-tol: break
    import sys
    print(f"{name}: degree {deg}, error 2^{float(m.log(err,2)):.1f}", file=sys.stderr)
    show(name, poly)
    if name.startswith("kErfcx"):
        print(f"constexpr double {name}Lo = {float(poly[0]-mpf(float(poly[0]))).hex()};")
L2 = m.log(2)/2*mpf('1.01')
def safe(g, lim):
    return lambda x: lim if abs(x) < mpf(10)**-25 else g(x)
do("kExp", safe(lambda r: (m.expm1(r)-r)/r**2, mpf(1)/2), -L2, L2, 56)
smax = (m.sqrt(2)-1)/(m.sqrt(2)+1)*mpf('1.02')
# log((1+s)/(1-s)) = 2s + s R(s^2), R(z) = 2z/3+...
do("kLog", safe(lambda z: (2*m.atanh(m.sqrt(z))/m.sqrt(z)-2)/z, mpf(2)/3), 0, smax**2, 56)
pq = (m.pi/4*mpf('1.001'))**2
do("kSin", safe(lambda z: (m.sin(m.sqrt(z))/m.sqrt(z)-1)/z, -mpf(1)/6), 0, pq, 58)
do("kCos", safe(lambda z: (m.cos(m.sqrt(z))-1+z/2)/z**2, mpf(1)/24), 0, pq, 58)
do("kTanh", safe(lambda z: (m.tanh(m.sqrt(z))/m.sqrt(z)-1)/z, -mpf(1)/3), 0, mpf('0.5626')**2, 57)
do("kAtan", safe(lambda z: (m.atan(m.sqrt(z))/m.sqrt(z)-1)/z, -mpf(1)/3), 0, (mpf(7)/16)**2*mpf('1.01'), 57)
do("kErf", safe(lambda z: (m.erf(m.sqrt(z))/m.sqrt(z)-1), 2/m.sqrt(m.pi)-1), 0, 1, 58)
ecx = lambda x: m.exp(x*x)*m.erfc(x)
for i,(a,b) in enumerate([(0,.5),(.5,1),(1,2),(2,4),(4,8)]):
    do(f"kErfcx{i}", ecx, a, b, 58, True)
mp.dps=80
do("kErfcxTail", safe(lambda y: ecx(1/m.sqrt(y))/m.sqrt(y), 1/m.sqrt(m.pi)), 0, mpf(1)/64, 57)
# constants
l2 = m.log(2)
hi = mpf(int(m.floor(l2*2**33)))/2**33
print("ln2hi", float(hi).hex(), "ln2lo", float(l2-hi).hex())
p2=m.pi/2
parts=[]; r=p2
for i in range(3):
    e = int(m.floor(m.log(r,2)))
    s = 32-e
    h = mpf(int(m.floor(r*mpf(2)**s)))/mpf(2)**s
    parts.append(h); r-=h
print([float(p).hex() for p in parts], float(r).hex())
for nm,v in [("pi",m.pi),("pi2",m.pi/2),("pi4",m.pi/4),("atan.5",m.atan(mpf(1)/2)),("atan1.5",m.atan(mpf(3)/2)),("2/sqrtpi",2/m.sqrt(m.pi)),("2/pi",2/m.pi),("log2e",1/l2)]:
    h=float(v); print(nm, h.hex(), float(v-mpf(h)).hex())
mp.prec=1400
t=2/m.pi
n=int(m.floor(t*mpf(2)**1216))
w=[(n>>(1216-32*(i+1)))&0xffffffff for i in range(38)]
print(", ".join("0x%08x"%x for x in w))
