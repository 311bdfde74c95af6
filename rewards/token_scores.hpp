#pragma once
#include <span>
#include <vector>

/// Rewards made of per-token log-probs (nats) of one response. Sums are taken in double.
namespace plumb {

double sum_of(std::span<const float> values);

/// a - b, token by token.
std::vector<float> difference(std::span<const float> a, std::span<const float> b);

/// Contrastive token reward of T-REG (arXiv 2412.02685): sigmoid(better - worse) - 1/2, in (-1/2,
/// 1/2).
/// @param better, worse  log-probs of the same token after a prompt that asks for a better and for
/// a worse answer
double contrastive_reward(double better, double worse);

}  // namespace plumb
