global using Float32 = Lguest.Cpu.FloatingPoint.SseFloat<uint>;
global using Float64 = Lguest.Cpu.FloatingPoint.SseFloat<ulong>;
global using unsafe OperationHandler = delegate*<
    Lguest.Cpu.State.ProcessorState*, Lguest.Cpu.Interpreter.Operation*, Lguest.Cpu.Interpreter.Operation*>;
