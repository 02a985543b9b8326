using System.Globalization;
using Iced.Intel;

namespace Lguest.Insight.Health;

/// <summary>Disassembles the bytes that a kernel prints around the instruction at which it stopped.</summary>
public static class CodeLine
{
    private const int Bits = 32;

    /// <summary>The instructions, one a line; that at which the processor was is marked with <c>=&gt;</c>.</summary>
    /// <param name="code">The bytes in hexadecimal; the one at EIP in angle brackets: <c>55 89 e5 &lt;0f&gt; 0b</c>.</param>
    /// <returns>Nothing, if these aren't bytes, or none is marked.</returns>
    public static IReadOnlyList<string> Disassemble(string code)
    {
        string[] words = code.Split(' ', StringSplitOptions.RemoveEmptyEntries);
        var bytes = new byte[words.Length];
        int mark = -1;
        for (int i = 0; i < words.Length; i++)
        {
            string word = words[i];
            if (word.Length == 4 && word[0] == '<' && word[3] == '>' && mark < 0)
            {
                mark = i;
                word = word[1..3];
            }

            if (word.Length != 2 || !byte.TryParse(word, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out bytes[i]))
            {
                return [];
            }
        }

        return mark < 0 ? [] : [.. Before(bytes, mark), .. Decode(bytes, mark, bytes.Length, isMarked: true)];
    }

    /// <summary>
    /// Where the instructions before it begin isn't known: of all places after which they lead right to it, the first is taken.
    /// </summary>
    private static List<string> Before(byte[] bytes, int mark)
    {
        for (int start = 0; start < mark; start++)
        {
            List<string> lines = Decode(bytes, start, mark, isMarked: false);
            if (lines.Count > 0)
            {
                return lines;
            }
        }

        return [];
    }

    private static List<string> Decode(byte[] bytes, int start, int end, bool isMarked)
    {
        var lines = new List<string>();
        var formatter = new NasmFormatter();
        var output = new StringOutput();
        var decoder = Iced.Intel.Decoder.Create(Bits, bytes[start..end]);
        while (start < end)
        {
            Instruction instruction = decoder.Decode();
            if (instruction.IsInvalid)
            {
                // What is cut off at the end is no instruction; before the mark it is the wrong beginning.
                return isMarked ? lines : [];
            }

            formatter.Format(instruction, output);
            string mark = isMarked && lines.Count == 0 ? "=>" : "  ";
            lines.Add($"{mark} {Convert.ToHexStringLower(bytes, start, instruction.Length),-22} {output.ToStringAndReset()}");
            start += instruction.Length;
        }

        return lines;
    }
}
