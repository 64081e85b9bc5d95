#pragma once
#include <map>
#include <string>
#include <vector>

#include "emulator/ptx/lexer.h"

namespace tr0n::emulator {

/// Recursive descent over a module; parser_body.cpp has the bodies of functions.
class Parser {
 public:
  explicit Parser(std::string_view text) : lexer_(text) {}
  ModuleSource module();

 private:
  struct Scope {
    std::map<std::string, int, std::less<>> registers;
    struct Family {
      std::string prefix;
      int first, count;
    };
    std::vector<Family> families;  ///< %r<20> declares %r0 … %r19
    int number;
  };

  void header(ModuleSource& module);
  void function(ModuleSource& module, bool is_entry, bool is_external);
  void performance_directives(FunctionSource& function);
  std::vector<Variable> parameters();
  /// From a state space's directive on; `.param .align 8 .b8 name[16] = {…}`.
  Variable variable(Space space, bool is_external);
  void initialiser(Variable& variable, unsigned element);
  void initial_value(Variable& variable, unsigned element, size_t at);

  void body(FunctionSource& function);
  void block(FunctionSource& function);
  void registers(FunctionSource& function);
  void statement(FunctionSource& function);
  void call(FunctionSource& function, Statement& statement);
  std::vector<std::string> names_in_parentheses();
  Operand operand(FunctionSource& function);
  Operand named_operand(FunctionSource& function);
  int find_register(FunctionSource& function, const std::string& name);
  int expect_register(FunctionSource& function);

  Lexer lexer_;
  std::vector<Scope> scopes_;
};

}  // namespace tr0n::emulator
