global using Float32 = Lguest.Cpu.FloatingPoint.SseFloat<uint>;
global using Float64 = Lguest.Cpu.FloatingPoint.SseFloat<ulong>;
