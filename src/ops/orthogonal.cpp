// SPDX-License-Identifier: BSD-3-Clause
#include "ops/orthogonal.h"

#include <algorithm>
#include <cmath>

#include "ops/fill.h"
#include "ops/householder.h"

namespace fastinit {
namespace {

constexpr std::int64_t kDrawRows = 64;
// Up to here reflectors are applied one by one: part of the number contract.
constexpr std::int64_t kSmallOrder = 192, kSmallRows = 256;

constexpr std::int64_t kBlockColumns = 256;  // of Q for one thread: their packed operand stays in cache

template <class T>
LawParams standard_normal(Key key) {
    return law_params({Asked::normal, 0.0, 1.0, 0.0, 0.0}, kDTypeOf<T>, key, 0);
}

// Writes the reflectors of the panel that begins at column j, and their heads; see make_reflectors.
template <class T>
using MakePanel = std::function<void(const Matrix<T>& v, std::int64_t j, T* heads)>;

template <class T>
bool is_small(const OrthogonalJob<T>& job) {
    return job.order <= kSmallOrder && job.out.rows <= kSmallRows;
}

template <class T>
std::int64_t panel_width(const OrthogonalJob<T>& job) {
    return is_small(job) ? job.order : panel_columns(job.order);
}

// All that grows with the matrix, before any of it is written.
template <class T>
void reserve_space(Team& team, ReflectorSpace<T>& space, const OrthogonalJob<T>& job) {
    const auto panel = static_cast<std::size_t>(std::min(panel_width(job), job.order));
    require_memory(4 * sizeof(T) * static_cast<std::size_t>(job.out.rows) * panel);
    space.v.reserve(static_cast<std::size_t>(job.out.rows) * panel);
    space.t.reserve(panel * panel + panel);
    space.vt.reserve(static_cast<std::size_t>(job.out.rows) * panel);
    reserve(space.left, static_cast<std::int64_t>(panel), job.out.rows, by_columns(job.out));
    reserve(space.right, job.out.rows, static_cast<std::int64_t>(panel), by_columns(job.out));
    space.join(team);
}

template <class T>
class Accumulation {
public:
    Accumulation(Team& team, ReflectorSpace<T>& space, const OrthogonalJob<T>& job, const MakePanel<T>& make)
        : team_(team), space_(space), job_(job), make_(make), width_(panel_width(job)) {
        reserve_space(team, space, job);
    }

    // Q = H_1 ... H_n diag(signs), from the last panel to the first: rows above and columns left of
    // a panel are still those of the identity then, and are not touched.
    void run(const Progress& progress) {
        if (is_small(job_)) return run_small();
        const std::int64_t n = job_.order, panels = (n + width_ - 1) / width_;
        for (std::int64_t p = panels; p-- > 0;) {
            apply(p * width_, std::min(width_, n - p * width_));
            const double left = static_cast<double>(p) / static_cast<double>(panels);
            if (progress) progress(1.0 - left * left * left);
        }
    }

private:
    // Columns of Q some at a time, all reflectors on each.
    void run_small() {
        const std::int64_t n = job_.order, rows = job_.out.rows;
        const Matrix<T> v{space_.v.data(), rows, n, n, 1};
        T* const heads = space_.t.data();
        make_(v, 0, heads);
        T tau[kSmallOrder];
        for (std::int64_t k = 0; k < n; ++k) tau[k] = v.at(k, k) == 0 ? T{0} : T{-1} / (heads[k] * v.at(k, k));
        space_.vt.reserve(static_cast<std::size_t>(rows * kTriangle));
        const Matrix<T> q{space_.vt.data(), rows, kTriangle, kTriangle, 1};
        for (std::int64_t l = 0; l < job_.out.cols; l += kTriangle) {
            const Matrix<T> part = job_.out.block(0, l, rows, std::min<std::int64_t>(kTriangle, job_.out.cols - l));
            std::fill_n(q.data, rows * kTriangle, T{0});
            std::int64_t k = 0;
            for (std::int64_t c = 0; c < part.cols; ++c) {
                k = job_.first + (l + c) * job_.step;
                q.at(k, c) = std::signbit(heads[k]) ? T{-1} : T{1};
            }
            real_kernels<T>().reflect(rows, k + 1, v.data, n, tau, q.data);
            for (std::int64_t i = 0; i < rows; ++i) {
                for (std::int64_t c = 0; c < part.cols; ++c) part.at(i, c) = job_.scale * q.at(i, c);
            }
        }
    }

    // First column of `out` that stands for column c of Q, or one to the right of it.
    std::int64_t local(std::int64_t c) const {
        return std::clamp<std::int64_t>((c - job_.first + job_.step - 1) / job_.step, 0, job_.out.cols);
    }

    void apply(std::int64_t j, std::int64_t width) {
        const std::int64_t begin = local(j), middle = local(j + width);
        const std::int64_t cols = job_.out.cols - begin, own = middle - begin;
        if (cols == 0) return;
        const std::int64_t rows = job_.out.rows - j;
        const Matrix<T> v{space_.v.data(), rows, width, width, 1};
        T* const t = space_.t.data();
        T* const heads = t + width * width;
        make_(v, j, heads);
        triangular_factor(team_, space_, v, t);
        const Matrix<T> vt{space_.vt.data(), rows, width, width, 1};
        multiply_triangle(team_, space_.members, v, {t, width, width, width, 1}, false, vt);
        const Matrix<T> q = job_.out.block(j, begin, rows, cols);
        // The reflectors' rows below the panel: above them Q is still 0.
        pack(team_, Rows<T>(v.block(width, 0, rows - width, width).transposed()), width, rows - width,
             by_columns(q), space_.left);
        pack(team_, Rows<T>(vt), rows, width, by_columns(q), space_.right);
        const std::int64_t each = std::clamp<std::int64_t>(
            (cols + 2 * team_.size() - 1) / (2 * team_.size()), 32, kBlockColumns);
        const std::int64_t first = (own + each - 1) / each, rest = (cols - own + each - 1) / each;
        team_.run(static_cast<std::size_t>(first + rest), [&](std::size_t chunk, int worker) {
            const auto i = static_cast<std::int64_t>(chunk);
            const bool fresh = i < first;
            const std::int64_t l = fresh ? i * each : own + (i - first) * each;
            const Matrix<T> part = q.block(0, l, rows, std::min(each, (fresh ? own : cols) - l));
            apply_to(part, v, heads, fresh ? job_.first + (begin + l) * job_.step - j : -1,
                     space_.members[static_cast<std::size_t>(worker)]);
            if (j == 0 && job_.scale != T{1}) multiply(part);
        });
    }

    // Q - (V T) (V' Q) for some columns: those of the panel itself, which are still those of
    // diag(signs) from `column` on, or later ones.
    void apply_to(const Matrix<T>& q, const Matrix<T>& v, const T* heads, std::int64_t column, Member<T>& member) {
        const std::int64_t width = v.cols;
        member.w.reserve(static_cast<std::size_t>(width * q.cols));
        const bool columns = by_columns(q);
        const Matrix<T> w{member.w.data(), width, q.cols, columns ? 1 : q.cols, columns ? width : 1};
        if (column < 0) {
            clear(q.block(0, 0, width, q.cols));
            gemm(member.gemm, space_.left, Rows<T>(q.block(width, 0, q.rows - width, q.cols).transposed()), T{1},
                 false, w);
            return gemm(member.gemm, space_.right, Rows<T>(w.transposed()), T{-1}, true, q);
        }
        for (std::int64_t l = 0; l < q.cols; ++l) {
            const T* const row = &v.at(column + l * job_.step, 0);
            const T sign = std::signbit(heads[column + l * job_.step]) ? T{-1} : T{1};
            for (std::int64_t i = 0; i < width; ++i) w.at(i, l) = sign * row[i];
        }
        gemm(member.gemm, space_.right, Rows<T>(w.transposed()), T{-1}, false, q);
        for (std::int64_t l = 0; l < q.cols; ++l) {
            const std::int64_t k = column + l * job_.step;
            q.at(k, l) += std::signbit(heads[k]) ? T{-1} : T{1};
        }
    }

    void multiply(const Matrix<T>& m) const {
        if (by_columns(m)) return multiply(m.transposed());
        for (std::int64_t i = 0; i < m.rows; ++i) {
            for (std::int64_t j = 0; j < m.cols; ++j) m.at(i, j) *= job_.scale;
        }
    }

    static void clear(const Matrix<T>& m) {
        if (by_columns(m)) return clear(m.transposed());
        for (std::int64_t i = 0; i < m.rows; ++i) {
            for (std::int64_t j = 0; j < m.cols; ++j) m.at(i, j) = 0;
        }
    }

    Team& team_;
    ReflectorSpace<T>& space_;
    const OrthogonalJob<T>& job_;
    const MakePanel<T>& make_;
    const std::int64_t width_;
};

// Stewart's method: the reflectors come from the generator, panel by panel, and are never stored.
template <class T>
void draw(Team& team, ReflectorSpace<T>& space, const OrthogonalJob<T>& job, const Progress& progress) {
    const LawParams law = standard_normal<T>(job.key);
    const MakePanel<T> make = [&](const Matrix<T>& v, std::int64_t j, T* heads) {
        const std::int64_t chunks = (v.rows + kDrawRows - 1) / kDrawRows;
        team.run(static_cast<std::size_t>(chunks), [&](std::size_t chunk, int) {
            const std::int64_t first = static_cast<std::int64_t>(chunk) * kDrawRows;
            const std::int64_t last = std::min(v.rows, first + kDrawRows);
            if (v.cols == job.order) {  // the rows follow one another
                const auto count = static_cast<std::size_t>((last - first) * v.cols);
                return generate(law, kDTypeOf<T>, static_cast<std::uint64_t>(first * v.cols), count, &v.at(first, 0));
            }
            for (std::int64_t i = first; i < last; ++i) {
                generate(law, kDTypeOf<T>, static_cast<std::uint64_t>((j + i) * job.order + j),
                         static_cast<std::size_t>(v.cols), &v.at(i, 0));
            }
        });
        make_reflectors(team, space.sums, v, heads);
    };
    Accumulation<T>(team, space, job, make).run(progress);
}

// The QR of the whole Gaussian matrix, in `out` itself.
template <class T>
void factor(Team& team, ReflectorSpace<T>& space, const OrthogonalJob<T>& job, const Progress& progress) {
    reserve_space(team, space, job);
    const Matrix<T>& a = job.out;
    const std::int64_t chunks = (a.rows + kDrawRows - 1) / kDrawRows;
    const LawParams law = standard_normal<T>(job.key);
    team.run(static_cast<std::size_t>(chunks), [&](std::size_t chunk, int) {
        const std::int64_t first = static_cast<std::int64_t>(chunk) * kDrawRows;
        Buffer<T> row(static_cast<std::size_t>(a.cols));
        for (std::int64_t i = first; i < std::min(a.rows, first + kDrawRows); ++i) {
            generate(law, kDTypeOf<T>, static_cast<std::uint64_t>(i * a.cols), static_cast<std::size_t>(a.cols),
                     row.data());
            for (std::int64_t j = 0; j < a.cols; ++j) a.at(i, j) = row.data()[j];
        }
    });
    const Heads<T> heads = householder(team, space, a, [&](double done) {
        if (progress) progress(0.5 * done);
    });
    accumulate(team, space, job, heads, [&](double done) {
        if (progress) progress(0.5 + 0.5 * done);
    });
}

template <class T>
void one(Team& team, ReflectorSpace<T>& space, const OrthogonalJob<T>& job, const Progress& progress) {
    if (job.factored) return factor(team, space, job, progress);
    draw(team, space, job, progress);
}

template <class T>
double flops(const OrthogonalJob<T>& job) {
    const auto m = static_cast<double>(job.out.rows), n = static_cast<double>(job.out.cols);
    return 4.0 * m * n * static_cast<double>(job.order) / 3.0;
}

}  // namespace

template <class T>
void orthogonal_all(const std::vector<OrthogonalJob<T>>& jobs, int threads, const Poll& poll,
                    const Progress& progress) {
    std::vector<std::size_t> large, small;
    double total = 0, done = 0;
    for (std::size_t i = 0; i < jobs.size(); ++i) {
        if (jobs[i].order == 0 || jobs[i].out.cols == 0) continue;
        (flops(jobs[i]) >= kSharedFlops ? large : small).push_back(i);
        total += flops(jobs[i]);
    }
    if (total == 0) return;
    Team team(useful_threads(total, large.size() + small.size(), threads), poll);
    std::vector<ReflectorSpace<T>> spaces(static_cast<std::size_t>(team.size()));
    for (const std::size_t i : large) {
        const double part = flops(jobs[i]);
        one<T>(team, spaces[0], jobs[i], [&](double share) {
            if (progress) progress((done + share * part) / total);
        });
        done += part;
    }
    // Several at once, so that progress can be told in between.
    constexpr std::size_t kEach = 64;
    for (std::size_t begin = 0; begin < small.size(); begin += kEach * spaces.size()) {
        const std::size_t count = std::min(kEach * spaces.size(), small.size() - begin);
        team.run(count, [&](std::size_t i, int worker) {
            Team alone(1, {});
            one<T>(alone, spaces[static_cast<std::size_t>(worker)], jobs[small[begin + i]], {});
        });
        for (std::size_t i = 0; i < count; ++i) done += flops(jobs[small[begin + i]]);
        if (progress) progress(done / total);
    }
}

template <class T>
void accumulate(Team& team, ReflectorSpace<T>& space, const OrthogonalJob<T>& job, const Heads<T>& heads,
                const Progress& progress) {
    const MakePanel<T> make = [&](const Matrix<T>& v, std::int64_t j, T* to) {
        for (std::int64_t i = 0; i < v.rows; ++i) {
            for (std::int64_t k = 0; k < v.cols; ++k) {
                v.at(i, k) = i < k ? T{0} : i == k ? heads.pivots[static_cast<std::size_t>(j + k)]
                                                   : job.out.at(j + i, j + k);
            }
        }
        std::copy_n(heads.values.begin() + j, v.cols, to);
    };
    Accumulation<T>(team, space, job, make).run(progress);
}

template <class T>
void qr(const Matrix<T>& a, const Matrix<T>& r, bool with_q, int threads, const Poll& poll,
        const Progress& progress) {
    const std::int64_t order = r.rows;
    OrthogonalJob<T> job{a.block(0, 0, a.rows, order), order, 0, 1, T{1}, {}, true};
    Team team(useful_threads(flops(job), 1, threads), poll);
    ReflectorSpace<T> space;
    const double share = with_q ? 0.5 : 1.0;
    const Heads<T> heads = householder(team, space, a, [&](double done) {
        if (progress) progress(share * done);
    });
    for (std::int64_t i = 0; i < order; ++i) {
        const T sign = std::signbit(heads.values[static_cast<std::size_t>(i)]) ? T{-1} : T{1};
        for (std::int64_t j = 0; j < r.cols; ++j) r.at(i, j) = j < i ? T{0} : sign * a.at(i, j);
    }
    if (!with_q || order == 0) return;
    accumulate(team, space, job, heads, [&](double done) {
        if (progress) progress(share + share * done);
    });
}

template void qr(const Matrix<float>&, const Matrix<float>&, bool, int, const Poll&, const Progress&);
template void qr(const Matrix<double>&, const Matrix<double>&, bool, int, const Poll&, const Progress&);
template void accumulate(Team&, ReflectorSpace<float>&, const OrthogonalJob<float>&, const Heads<float>&,
                         const Progress&);
template void accumulate(Team&, ReflectorSpace<double>&, const OrthogonalJob<double>&, const Heads<double>&,
                         const Progress&);
template void orthogonal_all(const std::vector<OrthogonalJob<float>>&, int, const Poll&, const Progress&);
template void orthogonal_all(const std::vector<OrthogonalJob<double>>&, int, const Poll&, const Progress&);

}  // namespace fastinit
