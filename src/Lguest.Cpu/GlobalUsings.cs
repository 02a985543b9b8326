global using unsafe OperationHandler = delegate*<
    Lguest.Cpu.ProcessorState*, Lguest.Cpu.Interpreter.Operation*, Lguest.Cpu.Interpreter.Operation*>;
