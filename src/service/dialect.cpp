#include "service/dialect.hpp"

namespace plumb::service {
namespace {

const char* openai_type(int status) {
  switch (status) {
    case 400:
      return "BadRequestError";
    case 401:
      return "AuthenticationError";
    case 404:
      return "NotFoundError";
    case 405:
      return "MethodNotAllowedError";
    case 413:
      return "RequestEntityTooLargeError";
    case 415:
      return "UnsupportedMediaTypeError";
    case 422:
      return "UnprocessableEntityError";
    case 429:
      return "RateLimitError";
    case 501:
      return "NotImplementedError";
    case 503:
      return "ServiceUnavailableError";
    case 504:
      return "TimeoutError";
    default:
      return status < 500 ? "BadRequestError" : "InternalServerError";
  }
}

const char* tei_type(int status) {
  switch (status) {
    case 400:
      return "Empty";
    case 429:
      return "Overloaded";
    case 503:
      return "Unhealthy";
    case 500:
    case 504:
      return "Backend";
    default:
      return "Validation";
  }
}

OrderedJson error_body(ErrorStyle style, int status, const std::string& message,
                       const std::string& field) {
  const OrderedJson param = field.empty() ? OrderedJson(nullptr) : OrderedJson(field);
  switch (style) {
    case ErrorStyle::kFlat:
      return {{"object", "error"},
              {"message", message},
              {"type", openai_type(status)},
              {"param", param},
              {"code", status}};
    case ErrorStyle::kTei:
      return {{"error", message}, {"error_type", tei_type(status)}};
    case ErrorStyle::kKserve:
      return {{"error", message}};
    case ErrorStyle::kDetail:
      return {{"detail", message}};
    case ErrorStyle::kOpenAi:
      break;
  }
  return {
      {"error",
       {{"message", message}, {"type", openai_type(status)}, {"param", param}, {"code", status}}}};
}

}  // namespace

ErrorStyle openai_errors(const nlohmann::json&) { return ErrorStyle::kOpenAi; }

Reply error_reply(ErrorStyle style, int status, const std::string& message,
                  const std::string& field) {
  return json_reply(error_body(style, status, message, field), status);
}

Reply error_reply(ErrorStyle style, const Problem& problem) {
  return error_reply(style, problem.status(), problem.what(), problem.field());
}

Reply json_reply(const OrderedJson& body, int status) {
  Reply reply;
  reply.status = status;
  reply.body = body.dump(-1, ' ', false, OrderedJson::error_handler_t::replace);
  return reply;
}

}  // namespace plumb::service
