"""The world that the official MCP conformance suite is run against, written as any author would write it.

Names and texts are the suite's. Nothing here reaches past the engine's front door.
"""

import base64
import json
from typing import Annotated

from pydantic import BaseModel, Field

from engine import (
    Answer,
    Asking,
    Audio,
    Embedded,
    Form,
    Image,
    Refused,
    Roots,
    Sample,
    Text,
    World,
    action,
    prompt,
    resource,
)

PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
SILENCE = base64.b64decode("UklGRiQAAABXQVZFZm10IBAAAAABAAEARKwAAIhYAQACABAAZGF0YQAAAAA=")


class Name(BaseModel):
    name: str


class Color(BaseModel):
    color: str


class Consent(BaseModel):
    ok: bool


class Told(BaseModel):
    context: str


class Response(BaseModel):
    response: str = Field(description="User's response")


class Defaults(BaseModel):
    name: str = "John Doe"
    age: int = 30
    score: float = 95.5
    status: str = Field(default="active", json_schema_extra={"enum": ["active", "inactive", "pending"]})
    verified: bool = True


ENUMS = {
    "type": "object",
    "properties": {
        "untitledSingle": {"type": "string", "enum": ["option1", "option2", "option3"]},
        "titledSingle": {
            "type": "string",
            "oneOf": [
                {"const": f"value{n}", "title": title} for n, title in enumerate(("First", "Second", "Third"), 1)
            ],
        },
        "legacyEnum": {
            "type": "string",
            "enum": ["opt1", "opt2", "opt3"],
            "enumNames": ["Option One", "Option Two", "Option Three"],
        },
        "untitledMulti": {"type": "array", "items": {"type": "string", "enum": ["option1", "option2", "option3"]}},
        "titledMulti": {
            "type": "array",
            "items": {
                "anyOf": [
                    {"const": f"value{n}", "title": title} for n, title in enumerate(("First", "Second", "Third"), 1)
                ]
            },
        },
    },
    "required": [],
}


async def ask_name(world: World, asking: Asking) -> Answer:
    return (await asking.ask(user_name=Form("What is your name?", Name)))["user_name"]


async def ask_capital(world: World, asking: Asking) -> Answer:
    return (await asking.ask(capital_question=Sample("What is the capital of France?", max_tokens=100)))[
        "capital_question"
    ]


async def ask_roots(world: World, asking: Asking) -> Answer:
    return (await asking.ask(client_roots=Roots()))["client_roots"]


async def ask_consent(world: World, asking: Asking) -> Answer:
    return (await asking.ask(confirm=Form("Please confirm", Consent)))["confirm"]


async def ask_all(world: World, asking: Asking) -> int:
    answers = await asking.ask(
        user_name=Form("What is your name?", Name), greeting=Sample("Generate a greeting", 50), client_roots=Roots()
    )
    return len(answers)


async def ask_twice(world: World, asking: Asking) -> str:
    name = (await asking.ask(step1=Form("Step 1: What is your name?", Name)))["step1"]
    color = (await asking.ask(step2=Form("Step 2: What is your favorite color?", Color)))["step2"]
    return f"{name.value.name if name.accepted else '?'} likes {color.value.color if color.accepted else '?'}."


async def ask_what_can_be_asked(world: World, asking: Asking) -> int:
    questions: dict[str, Form | Sample] = {"ask": Form("What is your name?", Name), "sample": Sample("Say hello", 50)}
    wanted = {name: question for name, question in questions.items() if asking.can(type(question))}
    return len(await asking.ask(**wanted))


async def need_sampling(world: World, asking: Asking) -> None:
    asking.require(Sample)


async def sample_prompt(world: World, asking: Asking, prompt: str) -> Answer:
    return (await asking.ask(sample=Sample(prompt, max_tokens=100)))["sample"]


async def elicit_message(world: World, asking: Asking, message: str) -> Answer:
    return (await asking.ask(answer=Form(message, Response)))["answer"]


async def elicit_defaults(world: World, asking: Asking) -> Answer:
    return (await asking.ask(answer=Form("Please review and update the form fields", Defaults)))["answer"]


async def elicit_enums(world: World, asking: Asking) -> Answer:
    return (await asking.ask(answer=Form("Please select options from the enum fields", ENUMS)))["answer"]


async def elicit_streaming(world: World, asking: Asking) -> Answer:
    await asking.progress(0, 1, "about to ask")
    return (await asking.ask(answer=Form("Please respond", Response)))["answer"]


async def write_log(world: World, asking: Asking) -> None:
    for line in ("Tool execution started", "Tool processing data", "Tool execution completed"):
        await asking.log("info", line)


async def report_progress(world: World, asking: Asking) -> None:
    for done in (0, 50, 100):
        await asking.progress(done, 100, f"Completed step {done} of 100")


async def ask_context(world: World, asking: Asking) -> Answer:
    return (await asking.ask(user_context=Form("What context should the prompt use?", Told)))["user_context"]


def told(answer: Answer) -> str:
    """An answer as JSON, `{}` where there is none."""
    if not answer.accepted:
        return "{}"
    return answer.value.model_dump_json() if isinstance(answer.value, BaseModel) else json.dumps(answer.value)


class Conformance(World, contract="exact"):
    """What the conformance suite expects of a server."""

    @action(read_only=True)
    def test_simple_text(self) -> str:
        """Tests a simple text response."""
        return "This is a simple text response for testing."

    @action(read_only=True)
    def test_image_content(self) -> Image:
        """Tests image content."""
        return Image(PIXEL)

    @action(read_only=True)
    def test_audio_content(self) -> Audio:
        """Tests audio content."""
        return Audio(SILENCE)

    @action(read_only=True)
    def test_embedded_resource(self) -> Embedded:
        """Tests an embedded resource."""
        return Embedded("test://embedded-resource", "This is an embedded resource content.")

    @action(read_only=True)
    def test_multiple_content_types(self) -> list[Text | Image | Embedded]:
        """Tests several content types at once."""
        data = Embedded("test://mixed-content-resource", '{"test":"data","value":123}', "application/json")
        return [Text("Multiple content types test:"), Image(PIXEL), data]

    @action(prepare=write_log, read_only=True)
    def test_tool_with_logging(self, prepared: None) -> str:
        """Tests log messages while a tool runs."""
        return "Tool with logging executed successfully"

    @action(prepare=write_log, read_only=True)
    def test_logging_tool(self, prepared: None) -> str:
        """Tests that log messages are sent only to those who asked."""
        return "Logged"

    @action(prepare=report_progress, read_only=True)
    def test_tool_with_progress(self, prepared: None) -> str:
        """Tests progress notifications."""
        return "Completed"

    @action
    def test_error_handling(self) -> str:
        """Tests an error result."""
        raise Refused("test_error", "This tool intentionally returns an error for testing")

    @action(prepare=sample_prompt)
    def test_sampling(self, prompt: str, prepared: Answer) -> str:
        """Tests sampling by the client's model."""
        return f"LLM response: {prepared.value}"

    @action(prepare=elicit_message)
    def test_elicitation(self, message: str, prepared: Answer) -> str:
        """Tests a question to the person."""
        return f"User response: action={prepared.action}, content={told(prepared)}"

    @action(prepare=elicit_defaults)
    def test_elicitation_sep1034_defaults(self, prepared: Answer) -> str:
        """Tests default values in forms."""
        return f"Elicitation completed: action={prepared.action}, content={told(prepared)}"

    @action(prepare=elicit_enums)
    def test_elicitation_sep1330_enums(self, prepared: Answer) -> str:
        """Tests the kinds of enums in forms."""
        return f"Elicitation completed: action={prepared.action}, content={told(prepared)}"

    @action(prepare=elicit_streaming)
    def test_streaming_elicitation(self, prepared: Answer) -> str:
        """Tests a question on a response stream."""
        return f"User response: {told(prepared)}"

    @action(prepare=need_sampling)
    def test_missing_capability(self, prepared: None) -> str:
        """Tests the refusal of clients without the sampling capability."""
        return "The client declared the sampling capability."

    @action(prepare=ask_name)
    def test_input_required_result_elicitation(self, prepared: Answer) -> str:
        """Tests one question of a multi-round-trip."""
        return f"Hello, {prepared.value.name}!" if prepared.accepted else "Hello, stranger!"

    @action(prepare=ask_capital)
    def test_input_required_result_sampling(self, prepared: Answer) -> str:
        """Tests sampling in a multi-round-trip."""
        return f"Model said: {prepared.value}"

    @action(prepare=ask_roots)
    def test_input_required_result_list_roots(self, prepared: Answer) -> str:
        """Tests the client's roots in a multi-round-trip."""
        return f"Client exposed {len(prepared.value)} root(s)."

    @action(prepare=ask_consent)
    def test_input_required_result_request_state(self, prepared: Answer) -> str:
        """Tests that request state comes back."""
        return "state-ok: confirmation received"

    @action(prepare=ask_all)
    def test_input_required_result_multiple_inputs(self, prepared: int) -> str:
        """Tests three kinds of questions at once."""
        return f"All {prepared} inputs received."

    @action(prepare=ask_twice)
    def test_input_required_result_multi_round(self, prepared: str) -> str:
        """Tests several rounds."""
        return prepared

    @action(prepare=ask_consent)
    def test_input_required_result_tampered_state(self, prepared: Answer) -> str:
        """Tests that tampered request state is refused."""
        return "state-ok"

    @action(prepare=ask_what_can_be_asked)
    def test_input_required_result_capabilities(self, prepared: int) -> str:
        """Tests that only declared capabilities are used."""
        return f"{prepared} answer(s)."

    @action(read_only=True)
    def test_x_mcp_header(
        self, region: Annotated[str, Field(json_schema_extra={"x-mcp-header": "Region"})] = "<none>"
    ) -> str:
        """Tests parameters mirrored into headers."""
        return f"region={region}"

    @resource(uri="test://static-text")
    def static_text(self) -> str:
        """A static text."""
        return "This is the content of the static text resource."

    @resource(uri="test://static-binary", mime_type="image/png")
    def static_binary(self) -> bytes:
        """A static picture."""
        return PIXEL

    @resource(uri="test://template/{id}/data", mime_type="application/json")
    def template(self, id: str) -> str:
        """A template."""
        return json.dumps({"id": id, "templateTest": True, "data": f"Data for ID: {id}"})

    @resource(uri="test://watched-resource")
    def watched(self) -> str:
        """Something to subscribe to."""
        return "Watched resource content"

    @prompt
    def test_simple_prompt(self) -> str:
        """A simple prompt."""
        return "This is a simple prompt for testing."

    @prompt
    def test_prompt_with_arguments(self, arg1: str, arg2: str) -> str:
        """A prompt with arguments."""
        return f"Prompt with arguments: arg1='{arg1}', arg2='{arg2}'"

    @prompt
    def test_prompt_with_embedded_resource(
        self, resource_uri: Annotated[str, Field(alias="resourceUri")]
    ) -> list[Text | Embedded]:
        """A prompt with an embedded resource."""
        body = Embedded(resource_uri, "Embedded resource content for testing.")
        return [body, Text("Please process the embedded resource above.")]

    @prompt
    def test_prompt_with_image(self) -> list[Text | Image]:
        """A prompt with a picture."""
        return [Image(PIXEL), Text("Please analyze the image above.")]

    @prompt(prepare=ask_context)
    def test_input_required_result_prompt(self, prepared: Answer) -> str:
        """A prompt that asks first."""
        return f"Use the following context: {prepared.value.context if prepared.accepted else '?'}"
