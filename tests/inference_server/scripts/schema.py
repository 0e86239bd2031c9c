from inference_schema.parameter_types.standard_py_parameter_type import StandardPythonParameterType
from inference_schema.schema_decorators import input_schema, output_schema


def init():
    pass


@input_schema("first", StandardPythonParameterType(3))
@input_schema("second", StandardPythonParameterType({"name": "x"}))
@output_schema(StandardPythonParameterType([1]))
def run(first, second):
    return [first, second]
