"""Makes the coefficients of vecmath-inl.h and symmetry/transform_kernel.cpp: weighted minimax polynomials by Remez exchange in 50-digit arithmetic.

Usage: python fit_polynomials.py  (needs mpmath; takes about a minute)
Each line it prints is one polynomial, lowest power first, with the largest relative error of the function that it
stands for, before rounding of the coefficients.
"""
import mpmath as mp

mp.mp.dps = 50


def remez(f, weight, lo, hi, degree, rounds=12, grid=1500):
    """Coefficients c minimising max |weight(x) (f(x) - sum c_i x^i)| over [lo, hi], and that maximum."""
    n = degree + 2
    x = [(lo + hi) / 2 - (hi - lo) / 2 * mp.cos(mp.pi * i / (n - 1)) for i in range(n)]
    points = [(lo + hi) / 2 - (hi - lo) / 2 * mp.cos(mp.pi * i / grid) for i in range(grid + 1)]
    values = [(p, f(p), weight(p)) for p in points]
    for _ in range(rounds):
        a, b = mp.matrix(n, n), mp.matrix(n, 1)
        for i, xi in enumerate(x):
            for j in range(degree + 1):
                a[i, j] = xi**j
            a[i, degree + 1] = (-1) ** i / weight(xi)
            b[i] = f(xi)
        c = list(mp.lu_solve(a, b))[: degree + 1]
        error = [w * (v - mp.polyval(c[::-1], p)) for p, v, w in values]
        runs, current = [], [0]
        for i in range(1, len(error)):
            if (error[i] > 0) == (error[current[-1]] > 0):
                current.append(i)
            else:
                runs.append(current)
                current = [i]
        runs.append(current)
        peaks = [max(run, key=lambda i: abs(error[i])) for run in runs]
        while len(peaks) > n:
            peaks.pop(0 if abs(error[peaks[0]]) < abs(error[peaks[-1]]) else -1)
        if len(peaks) < n:
            break
        x = [points[i] for i in peaks]
    return c, max(abs(e) for e in error)


def show(name, fit):
    c, error = fit
    print(f"{name}  (relative error {mp.nstr(error, 3)})")
    print("  {" + ", ".join(mp.nstr(v, 18) for v in c) + "}")


def exp_tail(r):
    return mp.mpf(1) / 2 + r / 6 if abs(r) < mp.mpf("1e-15") else (mp.exp(r) - 1 - r) / r**2


def tanh_tail(s):
    x = mp.sqrt(s)
    return -mp.mpf(1) / 3 if s == 0 else (mp.tanh(x) - x) / (x * s)


# Where a weight vanishes it is floored: remez() divides by it.
def exp_weight(r):
    return max(r * r / mp.exp(r), mp.mpf("1e-6"))


def tanh_weight(s):
    x = mp.sqrt(s)
    return max(s * x / mp.tanh(x), mp.mpf("1e-6")) if s > 0 else mp.mpf("1e-6")


def erf_tail(s):
    x = mp.sqrt(s)
    return 2 / mp.sqrt(mp.pi) - 1 if s == 0 else mp.erf(x) / x - 1


def erf_weight(s):
    x = mp.sqrt(s)
    return x / mp.erf(x) if s > 0 else mp.sqrt(mp.pi) / 2


def arcsine_tail(z):
    """(h(z) - 1) / z with asin x = x sqrt(1 - x^2) h(x^2)."""
    if z < mp.mpf("1e-12"):
        return mp.mpf(2) / 3 + mp.mpf(8) / 15 * z
    x = mp.sqrt(z)
    return (mp.asin(x) / (x * mp.sqrt(1 - z)) - 1) / z


def arcsine_weight(z):
    return max(z / (1 + z * arcsine_tail(z)), mp.mpf("1e-9"))


def normal_tail(scale):
    """P(u) with Phi(-t) = exp(-t^2/2) u P(u), u = 1 / (1 + scale t)."""

    def f(u):
        t = (1 / u - 1) / scale
        z = t / mp.sqrt(2)
        return mp.exp(z * z) * mp.erfc(z) / 2 / u

    return f


if __name__ == "__main__":
    half_ln2 = mp.log(2) / 2 * mp.mpf("1.001")
    show("exp f32: exp(r) = 1 + r + r^2 P(r), |r| <= ln2/2", remez(exp_tail, exp_weight, -half_ln2, half_ln2, 4))
    show("exp f64", remez(exp_tail, exp_weight, -half_ln2, half_ln2, 9))
    edge = mp.mpf("0.625") ** 2
    show("tanh f32: x + x^3 P(x^2), |x| <= 0.625", remez(tanh_tail, tanh_weight, mp.mpf(0), edge, 4))
    show("tanh f64", remez(tanh_tail, tanh_weight, mp.mpf(0), edge, 11))
    show("erf f32: x + x P(x^2), |x| <= 1", remez(erf_tail, erf_weight, mp.mpf(0), mp.mpf(1), 6))
    show("erf f64", remez(erf_tail, erf_weight, mp.mpf(0), mp.mpf(1), 12))
    quarter = mp.mpf("0.2501")
    show("arcsine f32: h(z) = 1 + z P(z), z <= 1/4", remez(arcsine_tail, arcsine_weight, mp.mpf(0), quarter, 5))
    show("arcsine f64", remez(arcsine_tail, arcsine_weight, mp.mpf(0), quarter, 12))
    for name, degree, scale, last in (("f32", 9, "0.3", 15), ("f64", 22, "0.2", 39)):
        s = mp.mpf(scale)
        f = normal_tail(s)
        show(f"normal tail {name}: u P(u), u = 1 / (1 + {scale} t), t <= {last}",
             remez(f, lambda u: 1 / f(u), 1 / (1 + s * last), mp.mpf(1), degree, grid=800))
