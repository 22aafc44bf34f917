// SPDX-License-Identifier: BSD-3-Clause
// The activation that Python holds.
#pragma once
#include <memory>

#include "bind/bind.h"
#include "ops/activations.h"

namespace fastinit {

struct Activation {
    std::shared_ptr<Function> f;  // takes the GIL itself where it calls Python
    bool python;

    // Named activations run without the GIL.
    template <class Body>
    auto run(const Body& body) const {
        const DefaultMode mode;
        if (python) return body(*f);
        const Unlocked released;
        return body(*f);
    }
};

}  // namespace fastinit
