#pragma once
#include <exception>
#include <functional>
#include <memory>
#include <vector>

#include "service/exchange.hpp"
#include "service/text_model.hpp"

namespace plumb::service {

/// What one completion request does while it is sampled, possibly beside others. All of it runs on
/// the compute thread; what it throws (Problem, DataError) ends this request alone.
class TextTask {
 public:
  virtual ~TextTask() = default;
  /// Work before anything is sampled. @return what is to be sampled, with its own sampling options
  /// and seed; may be empty
  virtual std::vector<RolloutRequest> begin() = 0;
  /// A response to request `index` of what begin() returned has one token more.
  virtual void token(std::size_t index, const RolloutResponse& response) = 0;
  /// `response.request` is that index.
  virtual void done(RolloutResponse&& response) = 0;
  /// Everything is sampled: answers. Not called if nobody waits for the answer any more.
  virtual void end() = 0;
};

/// One completion request in the queue.
struct TextJob {
  std::shared_ptr<Exchange> exchange;
  std::int64_t tokens = 0;  // prompts and longest responses
  double admitted = 0;
  std::shared_ptr<TextModel> model;
  std::function<std::unique_ptr<TextTask>()> start;  // on the compute thread
  std::function<void(std::exception_ptr)> fail;      // answers with the reason
};

}  // namespace plumb::service
