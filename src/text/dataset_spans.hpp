#pragma once
#include <string>
#include <vector>

#include "text/dataset.hpp"
#include "text/dataset_json.hpp"

namespace plumb::dataset {

/// The key spans of a pair whose row marks them, as the data of RRPO (arXiv:2504.12083) does:
/// "chosen_masked" and "rejected_masked" are the answers with <MASK> and </MASK> around their key
/// phrases; the n-th phrase of one stands against the n-th of the other, and one of the two may be
/// empty. None if the row has neither field. Throws RowFault: bad_spans for one field without the
/// other, marks that do not match, a text that is not the answer, or different numbers of phrases.
std::vector<KeySpan> read_key_spans(const RowObject& row, const std::string& chosen,
                                    const std::string& rejected);

}  // namespace plumb::dataset
