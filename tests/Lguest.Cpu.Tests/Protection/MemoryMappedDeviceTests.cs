using System.Globalization;
using Iced.Intel;
using Lguest.Cpu.State;
using static Iced.Intel.AssemblerRegisters;

namespace Lguest.Cpu.Tests.Protection;

/// <summary>Loads and stores that a device answers. Its registers lie behind the machine's memory.</summary>
public sealed class MemoryMappedDeviceTests : IDisposable
{
    private const uint Device = Machine.MemorySize;
    private const uint LastRam = Device - 4;

    private readonly Machine _machine = new();
    private readonly RecordingDevice _device = new();

    public MemoryMappedDeviceTests()
    {
        _machine.Memory.AddDevice(Device, 0x2000, _device);
        _machine.Cpu.WriteControlRegister(4, Cr4.Osfxsr);
        for (int i = 0; i < _device.Registers.Length; i++)
        {
            _device.Registers[i] = (byte)(i * 7);
        }
    }

    [Theory]
    [InlineData(0x10u, "R 10 4")]
    [InlineData(0x11u, "R 11 1|R 12 2|R 14 1")]
    [InlineData(0x12u, "R 12 2|R 14 2")]
    [InlineData(0xffeu, "R ffe 2|R 1000 2")]
    public void A_load_is_made_of_aligned_ones(uint offset, string accesses)
    {
        _machine.Execute(a => a.mov(eax, __dword_ptr[Device + offset]));
        Assert.Equal(accesses, Accesses);
        Assert.Equal(BitConverter.ToUInt32(_device.Registers, (int)offset), _machine.Cpu.State.Eax);
    }

    [Theory]
    [InlineData(0x10u, "W 10 4 12345678")]
    [InlineData(0x13u, "W 13 1 78|W 14 2 3456|W 16 1 12")]
    [InlineData(0xffdu, "W ffd 1 78|W ffe 2 3456|W 1000 1 12")]
    public void A_store_reads_nothing(uint offset, string accesses)
    {
        _machine.Cpu.State.Eax = 0x1234_5678;
        _machine.Execute(a => a.mov(__dword_ptr[Device + offset], eax));
        Assert.Equal(accesses, Accesses);
    }

    [Fact]
    public void Every_way_to_store_reads_nothing()
    {
        _machine.Cpu.State.Esp = Device + 0x100;
        _machine.Cpu.State.Edi = Device + 0x200;
        _machine.Execute(a =>
        {
            a.push(eax);
            a.stosd();
            a.sete(__byte_ptr[Device]);
            a.movd(__dword_ptr[Device + 8], mm0);
            a.movups(__xmmword_ptr[Device + 16], xmm0);
            a.fstp(__dword_ptr[Device + 32]);
            a.fnstcw(__word_ptr[Device + 36]);
            a.mov(__word_ptr[Device + 38], ds);
            a.pop(__dword_ptr[Device + 40]);
        });
        Assert.Empty(_machine.Exceptions);
        Assert.Equal(["R fc 4"], _device.Accesses.Where(access => access[0] == 'R'));
    }

    [Fact]
    public void An_instruction_that_reads_and_writes_does_each_once()
    {
        uint before = BitConverter.ToUInt32(_device.Registers, 0x20);
        _machine.Execute(a =>
        {
            a.add(__dword_ptr[Device + 0x20], 5);
            a.inc(__byte_ptr[Device + 0x31]);
            a.xchg(__word_ptr[Device + 0x42], ax);
            a.bts(__dword_ptr[Device + 0x50], 3);
        });
        Assert.Equal(before + 5, BitConverter.ToUInt32(_device.Registers, 0x20));
        Assert.Equal(["R 20 4", "R 31 1", "R 42 2", "R 50 4"], _device.Accesses.Where(access => access[0] == 'R'));
        Assert.Equal(8, _device.Accesses.Count);
    }

    [Fact]
    public void Sixteen_bytes_are_four_accesses()
    {
        _machine.Execute(a => a.movups(xmm0, __xmmword_ptr[Device + 0x20]));
        Assert.Equal("R 20 4|R 24 4|R 28 4|R 2c 4", Accesses);
    }

    [Fact]
    public void An_access_may_be_half_memory_and_half_device()
    {
        _machine.WriteUInt32(LastRam, 0x1122_3344);
        _machine.Cpu.State.Edx = 0xaabb_ccdd;
        _machine.Execute(a =>
        {
            a.mov(eax, __dword_ptr[Device - 2]);
            a.mov(__dword_ptr[Device - 1], edx);
        });
        Assert.Equal(0x0700_1122u, _machine.Cpu.State.Eax);
        Assert.Equal("R 0 2|W 0 2 bbcc|W 2 1 aa", Accesses);
        Assert.Equal(0xdd22_3344, _machine.ReadUInt32(LastRam));
    }

    [Fact]
    public void Strings_are_copied_element_by_element()
    {
        _machine.Cpu.State.Esi = Device;
        _machine.Cpu.State.Edi = Machine.DataBase;
        _machine.Cpu.State.Ecx = 5;
        _machine.Memory.Write(Machine.CodeBase, [0xF3, 0xA5]);
        _machine.Cpu.State.Eip = Machine.CodeBase;
        _machine.Cpu.Run(5);
        Assert.Equal(Enumerable.Range(0, 5).Select(i => string.Create(CultureInfo.InvariantCulture, $"R {4 * i:x} 4")), _device.Accesses);
        Assert.Equal(_device.Registers[..20], _machine.Memory.Span(Machine.DataBase, 20).ToArray());
    }

    [Fact]
    public void Code_is_not_fetched_from_a_device()
    {
        _machine.Cpu.State.Eip = Device;
        _machine.Cpu.Run(1);
        Assert.Equal(ExceptionVector.InvalidOpcode, _machine.SingleException().Vector);
        Assert.Empty(_device.Accesses);
    }

    [Fact]
    public void A_table_in_a_device_has_no_pages()
    {
        _machine.Cpu.WriteControlRegister(3, Device);
        _machine.Cpu.WriteControlRegister(0, 0x8000_0001);
        _machine.Cpu.Run(1);
        Assert.Equal(ExceptionVector.PageFault, _machine.SingleException().Vector);
        Assert.Empty(_device.Accesses);
    }

    public static TheoryData<string> Stores => [.. StoreForms.Keys];

    private static readonly Dictionary<string, byte[]> StoreForms = new()
    {
        { "mov [ebx], al", [0x88, 0x03] },
        { "inc dword [ebx]", [0xFF, 0x03] },
        { "push edx", [0x52] },
        { "stosd", [0xAB] },
        { "movsd", [0xA5] },
        { "fnstcw [ebx]", [0xD9, 0x3B] },
        { "movups [ebx], xmm0", [0x0F, 0x11, 0x03] },
        { "movd [ebx], mm0", [0x0F, 0x7E, 0x03] },
        { "cmpxchg [ebx], ecx", [0x0F, 0xB1, 0x0B] },
        { "rep stosd", [0xF3, 0xAB] },
    };

    /// <summary>In a loop that has long been linked and translated, where nothing else leads back to the engine.</summary>
    [Theory]
    [MemberData(nameof(Stores))]
    public void A_run_can_end_right_after_the_store_of_an_instruction_and_the_count_is_exact_in_it(string store)
    {
        // inc ebp; the store; inc edx; jmp back
        byte[] form = StoreForms[store];
        byte[] code = [0x45, .. form, 0x42, 0xEB, (byte)-(form.Length + 4)];
        _machine.Memory.Write(Machine.CodeBase, code);
        PointAt(Machine.DataBase);
        for (int i = 0; i < 50; i++)
        {
            PointAt(Machine.DataBase);
            _machine.Cpu.State.Eip = Machine.CodeBase;
            _machine.Cpu.Run(4);
        }

        ulong counted = 0;
        _device.Written = () =>
        {
            counted = _machine.Cpu.Retired;
            _machine.Cpu.RequestStop();
        };
        _machine.Cpu.State.Ebp = _machine.Cpu.State.Edx = 0;
        _machine.Cpu.State.Eip = Machine.CodeBase;
        PointAt(Device + 0x100);
        ulong before = _machine.Cpu.Retired;
        Assert.Equal(StopReason.Requested, _machine.Cpu.Run(1000));
        Assert.Equal((before + 2, before + 2), (counted, _machine.Cpu.Retired));
        Assert.Equal((1u, 0u), (_machine.Cpu.State.Ebp, _machine.Cpu.State.Edx));
        Assert.Empty(_machine.Exceptions);

        void PointAt(uint address)
        {
            ref ProcessorState state = ref _machine.Cpu.State;
            (state.Ebx, state.Edi, state.Esp, state.Esi, state.Ecx) = (address, address, address + 4, Machine.DataBase + 0x800, 1);
        }
    }

    public void Dispose() => _machine.Dispose();

    private string Accesses => string.Join('|', _device.Accesses);
}
