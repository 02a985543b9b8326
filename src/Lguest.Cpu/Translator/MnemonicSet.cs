using Iced.Intel;

namespace Lguest.Cpu.Translator;

/// <summary>A set of mnemonics: a bit for each. The framework's sets would be compiled anew by each short run.</summary>
internal sealed class MnemonicSet
{
    private const int BitsPerWord = 64;

    private readonly ulong[] _words;

    /// <summary>Makes a set.</summary>
    public MnemonicSet(params ReadOnlySpan<Mnemonic> members)
    {
        int highest = 0;
        for (int i = 0; i < members.Length; i++)
        {
            highest = Math.Max(highest, (int)members[i]);
        }

        _words = new ulong[(highest / BitsPerWord) + 1];
        for (int i = 0; i < members.Length; i++)
        {
            _words[(int)members[i] / BitsPerWord] |= 1ul << (int)members[i];
        }
    }

    /// <summary>Whether one is in it.</summary>
    public bool Contains(Mnemonic mnemonic)
    {
        int word = (int)mnemonic / BitsPerWord;
        return word < _words.Length && (_words[word] & (1ul << (int)mnemonic)) != 0;
    }
}
