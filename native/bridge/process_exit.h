#pragma once

namespace tr0n {

/// Sets what is to happen first when the process exits: stopping our threads. process.exit() runs C++ exit
/// handlers while other threads go on, so a run inside ONNX Runtime would see its library being taken apart.
void set_process_exit_hook(void (*hook)());

/// Asks for the hook to be called before every exit handler that is registered already. Exit handlers run
/// last in, first out, and libraries register theirs when they are loaded and when parts of them are first
/// used: call this after each such moment.
void register_process_exit();

/// Calls the hook now, unless it was called before.
void run_process_exit_hook();

}  // namespace tr0n
