using LdlVk.Evaluation.Reports;

namespace LdlVk.Evaluation.Tests.Reports;

public class HtmlTests
{
    [Fact]
    public void Holes_are_escaped_and_pieces_are_not()
    {
        Html piece = Html.Of($"<b>{"<i>\"'&"}</b>");
        Assert.Equal("<b>&lt;i&gt;&quot;&#39;&amp;</b>", piece.ToString());
        Assert.Equal("<p><b>&lt;i&gt;&quot;&#39;&amp;</b>1.5 1,234</p>", Html.Of($"<p>{piece}{1.5} {1234:#,0}</p>").ToString());
    }
}
