#include "service/text_batch.hpp"

#include <utility>

namespace plumb::service {

void TextBatch::run(std::shared_ptr<TextJob> first) {
  model_ = first->model;
  first_ = std::move(first);
  try {
    model_->generate({[this] { return next(); },
                      [this](const RolloutResponse& response) { return token(response); },
                      [this](RolloutResponse&& response) { done(std::move(response)); }});
  } catch (const std::exception& error) {
    // Whose fault it is cannot be told: to all of them it is the service's.
    const auto reason = std::make_exception_ptr(std::runtime_error(error.what()));
    if (first_) running_.push_back({std::exchange(first_, nullptr), nullptr, {}});
    sampled_.clear();
    while (!running_.empty()) {
      fail(running_.front(), reason);
      running_.front().given = running_.front().requests.size();
      running_.front().open = 0;
      finish_if_done(running_.begin());
    }
  }
  show_running();
}

/// Requests of the job that came first, then of the next one.
const RolloutRequest* TextBatch::next() {
  for (;;) {
    if (!running_.empty()) {
      const Place last = std::prev(running_.end());
      if (last->given < last->requests.size() && last->is_wanted()) {
        const std::size_t index = last->given++;
        const RolloutRequest& request = last->requests[index];
        last->open += request.samples;
        sampled_.emplace(count_++, Sampled{last, index, request.samples});
        return &request;
      }
      finish_if_done(last);
    }
    std::shared_ptr<TextJob> job =
        first_ ? std::exchange(first_, nullptr) : queue_.take_text(*model_);
    if (!job) return nullptr;
    start(std::move(job));
  }
}

void TextBatch::start(std::shared_ptr<TextJob> job) {
  running_.push_back({std::move(job), nullptr, {}});
  show_running();
  Running& running = running_.back();
  if (!running.is_wanted()) return;
  try {
    running.task = running.job->start();
    running.requests = running.task->begin();
    for (const RolloutRequest& request : running.requests) model_->check(request);
  } catch (...) {
    fail(running, std::current_exception());
  }
}

bool TextBatch::token(const RolloutResponse& response) {
  const Sampled& sampled = sampled_.at(response.request);
  Running& running = *sampled.running;
  ++running.tokens;
  breathe_();
  if (!running.is_wanted() || queue_.is_closed()) return false;
  try {
    running.task->token(sampled.request, response);
  } catch (...) {
    fail(running, std::current_exception());
  }
  return running.is_wanted();
}

void TextBatch::done(RolloutResponse&& response) {
  const auto found = sampled_.find(response.request);
  const Place running = found->second.running;
  response.request = found->second.request;
  if (--found->second.open == 0) sampled_.erase(found);
  --running->open;
  if (running->is_wanted()) {
    try {
      running->task->done(std::move(response));
    } catch (...) {
      fail(*running, std::current_exception());
    }
  }
  finish_if_done(running);
}

void TextBatch::finish_if_done(Place running) {
  const bool is_given = running->given == running->requests.size() || !running->is_wanted();
  if (!is_given || running->open > 0) return;
  if (running->is_wanted() && !queue_.is_closed()) {
    try {
      running->task->end();
    } catch (...) {
      fail(*running, std::current_exception());
    }
  }
  if (!running->is_wanted() && !running->failed) metrics_.add("plumb_dropped_total");
  metrics_.add("plumb_generated_tokens_total", "", static_cast<double>(running->tokens));
  queue_.release(running->job->tokens, 1);
  running_.erase(running);
  show_running();
}

void TextBatch::fail(Running& running, std::exception_ptr error) {
  if (!running.is_wanted()) return;
  running.failed = true;
  running.job->fail(std::move(error));
}

void TextBatch::show_running() {
  metrics_.set("plumb_completions_running", static_cast<double>(running_.size()));
}

}  // namespace plumb::service
