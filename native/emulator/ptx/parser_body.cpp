#include <cstring>

#include "emulator/ptx/parser.h"
#include "emulator/ptx/special.h"

namespace tr0n::emulator {

void Parser::body(FunctionSource& function) {
  scopes_.clear();
  function.scope_parents.clear();
  block(function);
}

void Parser::block(FunctionSource& function) {
  lexer_.expect("{");
  const int number = static_cast<int>(function.scope_parents.size());
  function.scope_parents.push_back(scopes_.empty() ? -1 : scopes_.back().number);
  scopes_.push_back({{}, {}, number});
  while (!lexer_.is("}")) {
    const Token& token = lexer_.peek();
    if (token.kind == Token::Kind::end) lexer_.fail("the body of \"" + function.name + "\" has no end");
    if (lexer_.is("{")) {
      block(function);
    } else if (lexer_.accept(".reg")) {
      registers(function);
    } else if (lexer_.is(".param") || lexer_.is(".local") || lexer_.is(".shared")) {
      const Space space = lexer_.is(".param")   ? Space::param
                          : lexer_.is(".local") ? Space::local
                                                : Space::shared;
      lexer_.take();
      // A later block may declare the name again (param0 of every call): statements refer to the latest one.
      function.variables.push_back(variable(space, false));
      lexer_.expect(";");
    } else if (lexer_.is(".loc") || lexer_.is(".pragma") || lexer_.is(".file")) {
      lexer_.skip_line();
    } else if (lexer_.accept(";")) {
    } else {
      statement(function);
    }
  }
  lexer_.expect("}");
  scopes_.pop_back();
}

void Parser::registers(FunctionSource& function) {
  if (lexer_.is(".v2") || lexer_.is(".v4")) lexer_.fail("vector registers are not supported");
  const Token token = lexer_.take();
  const Type type = token.kind == Token::Kind::directive ? type_named(token.text.substr(1)) : Type::none;
  if (type == Type::none || type == Type::b128)
    throw PtxError(token.line, "unknown register type \"" + std::string(token.text) + "\"");
  do {
    const std::string name = lexer_.expect_word();
    const int first = static_cast<int>(function.registers.size());
    if (lexer_.accept("<")) {
      const int64_t count = lexer_.expect_integer();
      lexer_.expect(">");
      if (count < 0 || count > 1 << 20) lexer_.fail("too many registers");
      for (int64_t i = 0; i < count; ++i) {
        function.registers.push_back(type);
        function.register_names.push_back(name + std::to_string(i));
      }
      scopes_.back().families.push_back({name, first, static_cast<int>(count)});
    } else {
      function.registers.push_back(type);
      function.register_names.push_back(name);
      scopes_.back().registers[name] = first;
    }
  } while (lexer_.accept(","));
  lexer_.expect(";");
}

int Parser::find_register(FunctionSource& function, const std::string& name) {
  size_t digits = name.size();
  while (digits > 0 && name[digits - 1] >= '0' && name[digits - 1] <= '9') --digits;
  for (auto scope = scopes_.rbegin(); scope != scopes_.rend(); ++scope) {
    if (const auto found = scope->registers.find(name); found != scope->registers.end()) return found->second;
    if (digits == name.size() || name.size() - digits > 7) continue;
    for (const Scope::Family& family : scope->families) {
      if (name.compare(0, digits, family.prefix) != 0) continue;
      const int index = std::atoi(name.c_str() + digits);
      if (index < family.count) return family.first + index;
    }
  }
  const Special special = special_named(name);
  if (special == Special::none) return -1;
  function.registers.push_back(type_of(special));
  function.register_names.push_back(name);
  return scopes_.front().registers[name] = static_cast<int>(function.registers.size()) - 1;
}

int Parser::expect_register(FunctionSource& function) {
  const int line = lexer_.peek().line;
  const std::string name = lexer_.expect_word();
  const int found = find_register(function, name);
  if (found < 0) throw PtxError(line, "undeclared register \"" + name + "\"");
  return found;
}

void Parser::statement(FunctionSource& function) {
  Statement statement;
  statement.line = lexer_.peek().line;
  statement.scope = scopes_.back().number;
  if (lexer_.accept("@")) {
    statement.guard_negated = lexer_.accept("!");
    statement.guard = expect_register(function);
  }
  const std::string word = lexer_.expect_word();
  if (statement.guard < 0 && lexer_.accept(":")) {
    if (lexer_.accept(".branchtargets")) {
      BranchTable table{word, {}, statement.scope};
      do table.targets.push_back(lexer_.expect_word());
      while (lexer_.accept(","));
      lexer_.expect(";");
      function.tables.push_back(std::move(table));
    } else if (lexer_.is(".callprototype") || lexer_.is(".calltargets")) {
      lexer_.fail("calls through pointers are not supported");
    } else {
      function.labels.push_back({word, statement.scope, function.statements.size()});
    }
    return;
  }
  for (size_t from = 0; from <= word.size();) {
    // Dots separate modifiers.
    const size_t dot = std::min(word.find('.', from), word.size());
    if (from == 0) {
      statement.opcode = word.substr(0, dot);
    } else {
      statement.modifiers.push_back(word.substr(from, dot - from));
    }
    from = dot + 1;
  }
  if (statement.opcode == "call") {
    call(function, statement);
  } else {
    while (!lexer_.is(";")) {
      statement.operands.push_back(operand(function));
      if (statement.operands.size() == 1 && lexer_.accept("|")) {
        statement.paired = true;
        statement.operands.push_back(operand(function));
      }
      if (!lexer_.accept(",")) break;
    }
  }
  lexer_.expect(";");
  function.statements.push_back(std::move(statement));
}

std::vector<std::string> Parser::names_in_parentheses() {
  std::vector<std::string> names;
  lexer_.expect("(");
  while (!lexer_.is(")")) {
    names.push_back(lexer_.expect_word());
    if (!lexer_.accept(",")) break;
  }
  lexer_.expect(")");
  return names;
}

void Parser::call(FunctionSource& function, Statement& statement) {
  if (lexer_.is("(")) {
    statement.results = names_in_parentheses();
    lexer_.expect(",");
  }
  statement.callee = lexer_.expect_word();
  if (find_register(function, statement.callee) >= 0) lexer_.fail("calls through pointers are not supported");
  if (lexer_.accept(",") && lexer_.is("(")) statement.arguments = names_in_parentheses();
  // A parameter's name means the declaration that is latest here.
  for (auto* names : {&statement.results, &statement.arguments}) {
    for (std::string& name : *names) {
      size_t found = function.variables.size();
      while (found > 0 && function.variables[found - 1].name != name) --found;
      if (found == 0) lexer_.fail("call: undeclared parameter \"" + name + "\"");
      name = "#" + std::to_string(found - 1);
    }
  }
}

Operand Parser::named_operand(FunctionSource& function) {
  Operand operand;
  const int line = lexer_.peek().line;
  const std::string name = lexer_.expect_word();
  operand.reg = find_register(function, name);
  if (operand.reg >= 0) {
    operand.kind = Operand::Kind::reg;
    return operand;
  }
  if (name == "_") return operand;
  if (name == "WARP_SZ") {
    operand.kind = Operand::Kind::immediate;
    operand.value = 32;
    return operand;
  }
  if (name[0] == '%') throw PtxError(line, "undeclared register \"" + name + "\"");
  operand.kind = Operand::Kind::symbol;
  operand.symbol = name;
  // The latest declaration in the body hides those before.
  for (size_t i = function.variables.size(); i > 0; --i) {
    if (function.variables[i - 1].name != name) continue;
    operand.symbol = "#" + std::to_string(i - 1);
    break;
  }
  return operand;
}

Operand Parser::operand(FunctionSource& function) {
  Operand operand;
  if (lexer_.accept("[")) {
    if (lexer_.peek().kind == Token::Kind::word) {
      operand = named_operand(function);
      operand.has_base = operand.kind == Operand::Kind::reg;
    }
    operand.kind = Operand::Kind::address;
    if (!lexer_.is("]")) operand.value = lexer_.expect_integer();
    lexer_.expect("]");
    return operand;
  }
  if (lexer_.accept("{")) {
    operand.kind = Operand::Kind::vector;
    while (!lexer_.is("}")) {
      operand.parts.push_back(this->operand(function));
      if (!lexer_.accept(",")) break;
    }
    lexer_.expect("}");
    return operand;
  }
  if (lexer_.accept("!")) {
    operand.kind = Operand::Kind::reg;
    operand.reg = expect_register(function);
    operand.negated = true;
    return operand;
  }
  const Token& token = lexer_.peek();
  if (token.kind == Token::Kind::word) {
    operand = named_operand(function);
    if (operand.kind == Operand::Kind::symbol && (lexer_.is("+") || lexer_.is("-")))
      operand.value = lexer_.expect_integer();
    return operand;
  }
  operand.kind = Operand::Kind::immediate;
  bool negative = false;
  if (lexer_.is("-") || lexer_.is("~")) {
    const bool invert = lexer_.is("~");
    lexer_.take();
    if (lexer_.peek().is_float) {
      negative = true;
    } else {
      operand.value = lexer_.expect_integer();
      operand.value = invert ? ~operand.value : -operand.value;
      return operand;
    }
  }
  if (lexer_.peek().is_float) {
    operand.is_float = true;
    operand.float_bytes = lexer_.peek().float_bytes;
    operand.value = static_cast<int64_t>(lexer_.take().bits ^ (negative ? uint64_t{1} << 63 : 0));
  } else {
    operand.value = lexer_.expect_integer();
  }
  return operand;
}

}  // namespace tr0n::emulator
