// SPDX-License-Identifier: BSD-3-Clause
#include "ops/householder.h"

#include <algorithm>

namespace fastinit {
namespace {

constexpr std::int64_t kUpdateColumns = 256;

template <class T>
class Factorization {
public:
    Factorization(Team& team, ReflectorSpace<T>& space, const Matrix<T>& a)
        : team_(team), space_(space), a_(a), order_(std::min(a.rows, a.cols)), width_(panel_columns(order_)) {
        const auto panel = static_cast<std::size_t>(std::min(width_, order_));
        const auto rows = static_cast<std::size_t>(a.rows);
        space.v.reserve(rows * panel);
        space.t.reserve(panel * panel);
        space.vt.reserve(rows * std::max<std::size_t>(panel, kPanelColumns));
        space.join(team);
        heads_.values.resize(static_cast<std::size_t>(order_));
        heads_.pivots.resize(static_cast<std::size_t>(order_));
    }

    Heads<T> run(const Progress& progress) {
        for (std::int64_t j = 0; j < order_; j += width_) {
            const std::int64_t width = std::min(width_, order_ - j), rows = a_.rows - j;
            const Matrix<T> v{space_.v.data(), rows, width, width, 1};
            factor(j, v);
            if (j + width < a_.cols) {
                reflect(v, a_.block(j, j + width, rows, a_.cols - j - width), true);
            }
            const double left = 1.0 - static_cast<double>(j + width) / static_cast<double>(order_);
            if (progress) progress(1.0 - left * left * left);
        }
        return std::move(heads_);
    }

private:
    // Columns j ... of the panel, as many as v has, from their diagonal down: halves, of which the
    // left one is applied to the right one.
    void factor(std::int64_t j, const Matrix<T>& v) {
        if (v.cols <= kPanelColumns) return factor_leaf(j, v);
        const std::int64_t half = (v.cols / 2 + kPanelColumns - 1) / kPanelColumns * kPanelColumns;
        const std::int64_t rest = v.cols - half;
        const Matrix<T> left = v.block(0, 0, v.rows, half);
        factor(j, left);
        reflect(left, a_.block(j, j + half, v.rows, rest), false);
        factor(j + half, v.block(half, half, v.rows - half, rest));
        for (std::int64_t i = 0; i < half; ++i) std::fill_n(&v.at(i, half), rest, T{0});
    }

    void factor_leaf(std::int64_t j, const Matrix<T>& v) {
        T* const panel = space_.vt.data();
        const Matrix<T> a = a_.block(j, j, v.rows, v.cols);
        for (std::int64_t i = 0; i < v.rows; ++i) {
            T* const row = panel + i * kPanelColumns;
            for (std::int64_t k = 0; k < v.cols; ++k) row[k] = a.at(i, k);
            std::fill(row + v.cols, row + kPanelColumns, T{0});
        }
        T diagonal[kPanelColumns];
        T* const heads = &heads_.values[static_cast<std::size_t>(j)];
        real_kernels<T>().factor_panel(v.rows, static_cast<int>(v.cols), panel, heads, diagonal);
        for (std::int64_t i = 0; i < v.rows; ++i) {
            const T* const row = panel + i * kPanelColumns;
            for (std::int64_t k = 0; k < v.cols; ++k) {
                a.at(i, k) = row[k];
                v.at(i, k) = i < k ? T{0} : row[k];
            }
        }
        for (std::int64_t k = 0; k < v.cols; ++k) {
            heads_.pivots[static_cast<std::size_t>(j + k)] = v.at(k, k);
            a.at(k, k) = diagonal[k];
        }
    }

    // c = (H_1 ... H_k)' c = c - (V T') (V' c).
    void reflect(const Matrix<T>& v, const Matrix<T>& c, bool wide) {
        const Matrix<T> vt{space_.vt.data(), v.rows, v.cols, v.cols, 1};
        triangular_factor(team_, space_, v, space_.t.data());
        multiply_triangle(team_, space_.members, v, {space_.t.data(), v.cols, v.cols, v.cols, 1}, true, vt);
        const bool columns = by_columns(c);
        pack(team_, Rows<T>(v.transposed()), v.cols, v.rows, columns, space_.left);
        pack(team_, Rows<T>(vt), v.rows, v.cols, columns, space_.right);
        const std::int64_t share = (c.cols + 2 * team_.size() - 1) / (2 * team_.size());
        const std::int64_t each = wide ? std::clamp<std::int64_t>(share, 32, kUpdateColumns) : 32;
        team_.run(static_cast<std::size_t>((c.cols + each - 1) / each), [&](std::size_t chunk, int worker) {
            const std::int64_t l = static_cast<std::int64_t>(chunk) * each;
            const Matrix<T> part = c.block(0, l, c.rows, std::min(each, c.cols - l));
            Member<T>& member = space_.members[static_cast<std::size_t>(worker)];
            member.w.reserve(static_cast<std::size_t>(v.cols * part.cols));
            const Matrix<T> w{member.w.data(), v.cols, part.cols, columns ? 1 : part.cols, columns ? v.cols : 1};
            gemm(member.gemm, space_.left, Rows<T>(part.transposed()), T{1}, false, w);
            gemm(member.gemm, space_.right, Rows<T>(w.transposed()), T{-1}, true, part);
        });
    }

    Team& team_;
    ReflectorSpace<T>& space_;
    const Matrix<T> a_;
    const std::int64_t order_, width_;
    Heads<T> heads_;
};

}  // namespace

std::int64_t panel_columns(std::int64_t order) {
    return order <= 128 ? 32 : order <= 1536 ? 64 : order <= 3072 ? 128 : 256;
}

template <class T>
Heads<T> householder(Team& team, ReflectorSpace<T>& space, const Matrix<T>& a, const Progress& progress) {
    return Factorization<T>(team, space, a).run(progress);
}

template Heads<float> householder(Team&, ReflectorSpace<float>&, const Matrix<float>&, const Progress&);
template Heads<double> householder(Team&, ReflectorSpace<double>&, const Matrix<double>&, const Progress&);

}  // namespace fastinit
