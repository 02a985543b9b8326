global using unsafe OperationHandler = delegate*<
    Lguest.Cpu.State.ProcessorState*, Lguest.Cpu.Interpreter.Operation*, Lguest.Cpu.Interpreter.Operation*>;
