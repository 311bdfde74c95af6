#include "service/compute_queue.hpp"

#include <chrono>

#include "core/clock.hpp"

namespace plumb::service {

bool ComputeQueue::reserve(std::int64_t tokens) {
  const std::scoped_lock lock(mutex_);
  if (closed_ || requests_ >= limits_.max_requests) return false;
  if (requests_ > 0 && tokens_ + tokens > limits_.max_tokens) return false;
  tokens_ += tokens;
  ++requests_;
  return true;
}

bool ComputeQueue::is_full() const {
  const std::scoped_lock lock(mutex_);
  return requests_ >= limits_.max_requests || tokens_ >= limits_.max_tokens;
}

void ComputeQueue::push(const std::shared_ptr<ScoreJob>& job) {
  {
    const std::scoped_lock lock(mutex_);
    job->admitted = monotonic_seconds();
    for (std::size_t item = 0; item < job->items.size(); ++item) {
      for (std::size_t module = 0; module < job->modules.size(); ++module) {
        if (job->at(item, module).score) continue;
        works_.push_back({job, item, module});
        waiting_tokens_ += job->items[item].cost;
      }
    }
  }
  changed_.notify_one();
}

void ComputeQueue::push(const std::shared_ptr<TextJob>& job) {
  {
    const std::scoped_lock lock(mutex_);
    job->admitted = monotonic_seconds();
    texts_.push_back(job);
  }
  changed_.notify_one();
}

void ComputeQueue::take_scores_locked(std::int64_t max_tokens, Batch& batch) {
  std::int64_t tokens = 0;
  while (!works_.empty()) {
    Work& next = works_.front();
    const std::int64_t cost = next.job->items[next.item].cost;
    if (next.job->exchange->abandoned) {
      batch.dropped.push_back(std::move(next));
    } else {
      if (!batch.works.empty() && tokens + cost > max_tokens) break;
      tokens += cost;
      batch.works.push_back(std::move(next));
    }
    waiting_tokens_ -= cost;
    works_.pop_front();
  }
}

ComputeQueue::Batch ComputeQueue::take(std::int64_t max_tokens, std::int64_t max_wait_us) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return closed_ || !works_.empty() || !texts_.empty(); });
  if (max_wait_us > 0 && texts_.empty()) {
    changed_.wait_for(lock, std::chrono::microseconds(max_wait_us),
                      [&] { return closed_ || waiting_tokens_ >= max_tokens || !texts_.empty(); });
  }
  Batch batch;
  batch.closed = closed_;
  if (closed_) return batch;
  if (!texts_.empty() && (text_next_ || works_.empty())) {
    batch.text = std::move(texts_.front());
    texts_.pop_front();
    text_next_ = false;
  } else {
    take_scores_locked(max_tokens, batch);
    text_next_ = true;
  }
  return batch;
}

ComputeQueue::Batch ComputeQueue::take_scores(std::int64_t max_tokens) {
  const std::scoped_lock lock(mutex_);
  Batch batch;
  if (!closed_) take_scores_locked(max_tokens, batch);
  return batch;
}

std::shared_ptr<TextJob> ComputeQueue::take_text(const TextModel& model) {
  const std::scoped_lock lock(mutex_);
  if (texts_.empty() || texts_.front()->model.get() != &model) return nullptr;
  std::shared_ptr<TextJob> job = std::move(texts_.front());
  texts_.pop_front();
  return job;
}

bool ComputeQueue::is_closed() const {
  const std::scoped_lock lock(mutex_);
  return closed_;
}

void ComputeQueue::release(std::int64_t tokens, std::int64_t requests) {
  const std::scoped_lock lock(mutex_);
  tokens_ -= tokens;
  requests_ -= requests;
}

void ComputeQueue::close() {
  {
    const std::scoped_lock lock(mutex_);
    closed_ = true;
    works_.clear();
    texts_.clear();
  }
  changed_.notify_all();
}

std::int64_t ComputeQueue::tokens() const {
  const std::scoped_lock lock(mutex_);
  return tokens_;
}

std::int64_t ComputeQueue::requests() const {
  const std::scoped_lock lock(mutex_);
  return requests_;
}

}  // namespace plumb::service
