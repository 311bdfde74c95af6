#pragma once
#include <optional>
#include <string>
#include <vector>

#include "text/dataset.hpp"
#include "text/dataset_json.hpp"

namespace plumb::dataset {

/// What a row looks like by the names of its fields; absent if nothing in it is known.
std::optional<DatasetKind> kind_of(const RowObject& row);

/// A row read as one kind, and how.
struct ReadRow {
  DatasetRow row;
  std::string mapping;                // "the prompt is \"prompt\", the answers are ..."
  std::vector<const char*> warnings;  // codes, see row_warning()
};

/// Reads a row of a file whose rows are of `kind`. Throws RowFault.
ReadRow read_row(const RowObject& row, DatasetKind kind);

/// The sentence behind a warning's code.
const char* row_warning(std::string_view code);

}  // namespace plumb::dataset
