namespace LdlVk.Cli.Options;

/// <summary>How far a word is from the one that was meant.</summary>
internal static class Typing
{
    /// <summary>The number of letters to insert, to remove, to replace or to swap with their neighbor.</summary>
    public static int Distance(string a, string b)
    {
        int[,] least = new int[a.Length + 1, b.Length + 1];
        for (int i = 0; i <= a.Length; i++)
            for (int j = 0; j <= b.Length; j++)
            {
                if (i == 0 || j == 0)
                {
                    least[i, j] = i + j;
                    continue;
                }

                int change = a[i - 1] == b[j - 1] ? 0 : 1;
                least[i, j] = Math.Min(Math.Min(least[i - 1, j], least[i, j - 1]) + 1, least[i - 1, j - 1] + change);
                bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
                if (swapped) least[i, j] = Math.Min(least[i, j], least[i - 2, j - 2] + 1);
            }

        return least[a.Length, b.Length];
    }
}
