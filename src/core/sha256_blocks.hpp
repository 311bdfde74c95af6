#pragma once
#include <array>
#include <cstddef>
#include <cstdint>

/// The compression function of SHA-256 (FIPS 180-4, 6.2.2) over whole blocks; class Sha256 is what
/// other folders use.
namespace plumb::sha256_blocks {

using State = std::array<std::uint32_t, 8>;
/// @param data  `blocks` times 64 bytes
using Compress = void (*)(State& state, const std::uint8_t* data, std::size_t blocks);

void portable(State& state, const std::uint8_t* data, std::size_t blocks);
/// With the SHA instructions of x86, about five times as fast; nullptr where this processor has
/// none.
Compress with_instructions();
/// The fastest one that runs here. All give the same state.
Compress fastest();

}  // namespace plumb::sha256_blocks
