from pathlib import Path

from openai import OpenAI


async def run(session):
    prompt = (Path(__file__).parent / "prompt.md").read_text()
    client = OpenAI(max_retries=0)
    answer = client.chat.completions.create(
        model=session.model,
        messages=[{"role": "system", "content": prompt}, {"role": "user", "content": session.first_message}],
    )
    await session.submit(answer.choices[0].message.content)
