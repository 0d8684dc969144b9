#include "decode/form.h"

#include <algorithm>
#include <unordered_map>

namespace winnow::gpusim {
namespace {

// Consumes `token` from the front of `text` if a whole number of modifiers matches it.
bool take(std::string_view& text, std::string_view token) {
  if (text.substr(0, token.size()) != token) return false;
  if (text.size() > token.size() && text[token.size()] != '.') return false;
  text.remove_prefix(token.size());
  return true;
}

bool match_from(std::string_view pattern, std::string_view text, Match& match) {
  if (pattern.empty()) return text.empty();
  const char open = pattern[0];
  if (open != '{' && open != '(') {
    const size_t end = std::min(pattern.find_first_of("{("), pattern.size());
    return take(text, pattern.substr(0, end)) && match_from(pattern.substr(end), text, match);
  }
  const size_t end = pattern.find(open == '{' ? '}' : ')');
  const std::string_view rest = pattern.substr(end + 1);
  const int group = match.num_groups++;
  for (std::string_view list = pattern.substr(1, end - 1); !list.empty();) {
    const size_t comma = std::min(list.find(','), list.size());
    const std::string_view choice = list.substr(0, comma);
    std::string_view remaining = text;
    match.num_groups = group + 1;
    if (take(remaining, choice)) {
      match.groups[group] = choice;
      if (match_from(rest, remaining, match)) return true;
    }
    list.remove_prefix(std::min(comma + 1, list.size()));
  }
  match.num_groups = group + 1;
  match.groups[group] = {};
  return open == '{' && match_from(rest, text, match);
}

std::string_view base_of(std::string_view opcode) { return opcode.substr(0, opcode.find_first_of(".{(")); }

}  // namespace

bool Match::has(std::string_view modifier) const {
  return std::find(groups, groups + num_groups, modifier) != groups + num_groups;
}

const Form* find_form(std::string_view opcode, Match& match) {
  static const auto* forms = [] {
    auto* by_base = new std::unordered_map<std::string_view, std::vector<const Form*>>;
    for (const Forms* family :
         {&integer_forms(), &carry_forms(), &bit_forms(), &float_forms(), &half_forms(), &approximate_forms(),
          &compare_forms(), &convert_forms(), &move_forms(), &memory_forms(), &atomic_forms(), &async_copy_forms(),
          &control_forms(), &warp_forms(), &matrix_forms()}) {
      for (const Form& form : *family) (*by_base)[base_of(form.pattern)].push_back(&form);
    }
    return by_base;
  }();
  const auto candidates = forms->find(base_of(opcode));
  if (candidates == forms->end()) return nullptr;
  for (const Form* form : candidates->second) {
    match = Match{};
    if (match_from(form->pattern, opcode, match)) return form;
  }
  return nullptr;
}

}  // namespace winnow::gpusim
